"""A form with one file, read as it comes: the file goes to its reader piece by piece and is never held here."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from agentvoicebox.errors import BodyTooLarge, ClientError
from agentvoicebox.wire.checks import fault, missing

MAX_FIELDS_BYTES = 64 * 1024  # of all fields but the file
MAX_PARTS = 64

TakeFile = Callable[[bytes], Awaitable[None]]


class _FormReader:
    """Sorts the parts of one form. The parser calls; what came of the file waits until `take_file` gets it."""

    def __init__(self, file_field: str, most_fields_bytes: int) -> None:
        self._file_field = file_field
        self._most_fields_bytes = most_fields_bytes
        self.fields: dict[str, list[str]] = {}
        self.file_data: list[bytes] = []
        self.has_file = False
        self.is_over = False
        self._header: list[bytes] = [b"", b""]
        self._name = ""
        self._value = bytearray()
        self._is_file = False
        self._fields_bytes = 0
        self._parts = 0

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise fault(f"The form has more than {MAX_PARTS} fields.", "array_above_max_length", None)
        self._name, self._value, self._is_file = "", bytearray(), False

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def on_header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._name = parse_options_header(value)[1].get(b"name", b"").decode(errors="replace")
        self._header = [b"", b""]

    def on_headers_finished(self) -> None:
        self._is_file = self._name == self._file_field
        if self._is_file and self.has_file:
            raise fault(f"The form has more than one '{self._file_field}'.", "invalid_value", self._file_field)
        self.has_file = self.has_file or self._is_file

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.file_data.append(data[start:end])
            return
        self._fields_bytes += end - start
        if self._fields_bytes > self._most_fields_bytes:
            most = f"{self._most_fields_bytes // 1024} KiB"
            raise BodyTooLarge(f"The fields of the form may hold {most}, '{self._file_field}' apart.")
        self._value += data[start:end]

    def on_part_end(self) -> None:
        if self._is_file:
            return
        try:
            value = self._value.decode()
        except UnicodeDecodeError as error:
            raise fault(f"The field '{self._name}' is not UTF-8.", "invalid_value", self._name) from error
        self.fields.setdefault(self._name, []).append(value)

    def on_end(self) -> None:
        self.is_over = True


def _size(size: int) -> str:
    mebibyte = 1024 * 1024
    return f"{size // mebibyte} MiB" if size >= mebibyte else f"{size // 1024} KiB"


async def read_form(
    request: Request,
    file_field: str,
    take_file: TakeFile,
    *,
    most_bytes: int,
    most_fields_bytes: int = MAX_FIELDS_BYTES,
) -> dict[str, list[str]]:
    """The fields of a form of at most `most_bytes`, without the file, whose bytes go to `take_file` in order.

    Raises:
        ClientError: it is no form, it is broken off, or has no file. BodyTooLarge. What `take_file` raises.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise ClientError("The body is a form: send it as multipart/form-data.", code="invalid_value")
    reader = _FormReader(file_field, most_fields_bytes)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": reader.on_part_begin,
            "on_part_data": reader.on_part_data,
            "on_part_end": reader.on_part_end,
            "on_header_field": reader.on_header_field,
            "on_header_value": reader.on_header_value,
            "on_header_end": reader.on_header_end,
            "on_headers_finished": reader.on_headers_finished,
            "on_end": reader.on_end,
        },
    )
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most_bytes:
                raise BodyTooLarge(f"The form may hold {_size(most_bytes)}.")
            parser.write(chunk)
            for data in reader.file_data:
                await take_file(data)
            reader.file_data.clear()
    except MultipartParseError as error:
        raise ClientError("The form can't be read: its parts are damaged.", code="invalid_value") from error
    if not reader.is_over:
        raise ClientError("The form is broken off.", code="invalid_value")
    if not reader.has_file:
        raise missing(file_field)
    return reader.fields
