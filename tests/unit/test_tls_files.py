"""A certificate and its key: made by one command, and read at start with one error for what is wrong with them."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.kit.certificates import Certificate, certificate
from typer.testing import CliRunner

from agentvoicebox.cli.main import app
from agentvoicebox.errors import SettingsError
from agentvoicebox.http_server.tls import self_signed, server_context
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.preflight.checks import examine
from agentvoicebox.supervisor.roles import children


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    return certificate(tmp_path / "own")


def test_a_good_pair_serves_tls_1_2_or_later(own: Certificate) -> None:
    assert own.server.minimum_version is ssl.TLSVersion.TLSv1_2


def encrypted(own: Certificate, path: Path) -> Path:
    key = serialization.load_pem_private_key(Path(own.key).read_bytes(), None)
    cipher = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher))
    return path


def test_each_fault_of_a_pair_is_one_sentence_that_names_the_setting_and_the_file(
    own: Certificate, tmp_path: Path
) -> None:
    other, folder, empty = certificate(tmp_path / "other"), tmp_path / "folder", tmp_path / "empty"
    folder.mkdir()
    empty.touch()
    binary = tmp_path / "binary"
    binary.write_bytes(bytes(range(256)))
    for cert, key, said in (
        ("nowhere.pem", own.key, "AVB_TLS_CERT: nowhere.pem can't be read: No such file"),
        (own.cert, "nowhere.pem", "AVB_TLS_KEY: nowhere.pem can't be read: No such file"),
        (str(folder), own.key, f"AVB_TLS_CERT: {folder} can't be read: Is a directory"),
        (own.cert, str(folder), f"AVB_TLS_KEY: {folder} can't be read: Is a directory"),
        (str(empty), own.key, "empty holds no certificate in PEM"),
        (str(binary), own.key, "binary holds no certificate in PEM"),
        (own.key, own.cert, "key.pem holds no certificate in PEM"),  # the wrong way round
        (own.cert, own.cert, "cert.pem holds no private key in PEM"),
        (own.cert, str(empty), "empty holds no private key in PEM"),
        (own.cert, other.key, f"AVB_TLS_KEY: {other.key} is the key of another certificate than {own.cert}"),
        (own.cert, str(encrypted(own, tmp_path / "locked")), "locked is encrypted; `openssl pkey"),
    ):
        with pytest.raises(SettingsError) as caught:
            server_context(cert, key)
        assert said in caught.value.message and "AVB_TLS_" in caught.value.message


def test_a_certificate_needs_its_key_and_a_key_its_certificate() -> None:
    for given in ({"tls_cert": "cert.pem"}, {"tls_key": "key.pem"}):
        with pytest.raises(SettingsError, match="AVB_TLS_CERT and AVB_TLS_KEY belong together"):
            Settings.load(**given)


@pytest.mark.parametrize("origins", ["app.example", "https://app.example/page", "https://a.example, ftp://b.example"])
def test_an_origin_has_a_scheme_and_no_path(origins: str) -> None:
    with pytest.raises(SettingsError, match=r"AVB_CORS_ORIGINS: .* should look like"):
        Settings.load(cors_origins=origins)


def test_origins_are_a_list() -> None:
    assert Settings(cors_origins="https://a.example, http://localhost:3000").cors_origin_list == (
        "https://a.example",
        "http://localhost:3000",
    )


def test_one_command_makes_a_pair_that_a_server_takes(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    done = CliRunner().invoke(
        app, ["tls", "--out", str(out), "--name", "box.local", "--name", "10.0.0.7", "--days", "9"]
    )
    assert done.exit_code == 0, done.output
    cert, key = out / "cert.pem", out / "key.pem"
    server_context(str(cert), str(key))
    assert key.stat().st_mode & 0o777 == 0o600
    made = x509.load_pem_x509_certificate(cert.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["box.local", "localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "127.0.0.1", "::1"]
    assert 9 <= (made.not_valid_after_utc - made.not_valid_before_utc).days < 10
    assert f"AVB_TLS_CERT={cert} AVB_TLS_KEY={key} agentvoicebox serve" in done.output
    assert "SSL_CERT_FILE" in done.output and "NODE_EXTRA_CA_CERTS" in done.output


def test_the_command_replaces_nothing_unasked(tmp_path: Path) -> None:
    run = ["tls", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, run).exit_code == 0
    before = (tmp_path / "key.pem").read_bytes()
    again = CliRunner().invoke(app, run)
    assert again.exit_code == 1 and "exists already; --force replaces it" in again.output
    assert (tmp_path / "key.pem").read_bytes() == before
    assert CliRunner().invoke(app, [*run, "--force"]).exit_code == 0
    assert (tmp_path / "key.pem").read_bytes() != before


@pytest.mark.parametrize("name", ["", "two words", "https://box.local", "a/b", "-x"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(app, ["tls", "--out", str(tmp_path), f"--name={name}"])
    assert done.exit_code == 1 and "is not a host name or an address" in done.output


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["tls", "--out", str(tmp_path / "file" / "tls")])
    assert done.exit_code == 1 and "--out: " in done.output and "can't be written" in done.output


def test_serve_says_at_once_what_is_wrong_with_a_pair(own: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_TLS_CERT", own.cert)
    monkeypatch.setenv("AVB_TLS_KEY", own.cert)
    done = CliRunner().invoke(app, ["serve"])
    assert done.exit_code == 1 and "AVB_TLS_KEY: " in done.output


async def test_a_start_checks_the_pair_and_warns_of_a_certificate_that_has_ended(
    own: Certificate, tmp_path: Path
) -> None:
    ended = tmp_path / "ended.pem"
    cert, key = self_signed(["localhost"], days=1, now=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    ended.write_bytes(cert + key)
    for pair, state, said in (
        ((own.cert, own.key), "ok", "valid until 20"),
        ((own.cert, own.cert), "error", "holds no private key"),
        ((str(ended), str(ended)), "warning", "valid until 2020-01-02"),  # both may be in one file
    ):
        settings = Settings(tls_cert=pair[0], tls_key=pair[1], data_dir=str(tmp_path))
        findings = await examine(settings, children(["gateway"]), is_whole=False)
        (found,) = (each for each in findings if each.what == "certificate")
        assert found.state == state and said in found.detail
