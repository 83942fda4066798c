"""The processor of this machine, as far as the speech engines' kernels choose by it."""

import platform
import re
from pathlib import Path

import msgspec

from agentvoicebox.processes.cores import usable_cores

CPUINFO = Path("/proc/cpuinfo")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")
WIDE = ("avx512f",)
INTEGER_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")


class Processor(msgspec.Struct, frozen=True):
    """A machine's processor.

    Attributes:
        name: as the system gives it; virtual machines often hide the exact one, but not family and model.
        cores: that this process may use.
        flags: of `FLAGS`, those it has.
    """

    name: str
    cores: int
    flags: tuple[str, ...] = ()

    @property
    def is_fast(self) -> bool:
        """Whether it has AVX-512 or instructions for products of small integers: without, engines take 3 to 4.5 times as long."""
        return any(flag in self.flags for flag in (*WIDE, *INTEGER_PRODUCTS))

    def __str__(self) -> str:
        """For people: `AMD EPYC, 2 cores, AVX2; no AVX-512 or VNNI`."""
        cores = f"{self.cores} core" + ("" if self.cores == 1 else "s")
        known = ", ".join(flag.upper().replace("_", "-") for flag in self.flags) or "no AVX2"
        return f"{self.name}, {cores}, {known}" + ("" if self.is_fast else "; no AVX-512 or VNNI")


def this_processor() -> Processor:
    """Of the machine that this runs on."""
    try:
        cpuinfo = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    return read_processor(cpuinfo, usable_cores())


def read_processor(cpuinfo: str, cores: int) -> Processor:
    """The processor of a text like `/proc/cpuinfo`, of whose cores `cores` may be used."""
    pairs = (line.partition(":") for line in cpuinfo.partition("\n\n")[0].splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    flags = set(facts.get("flags", "").split())
    name = re.sub(r"\((R|TM)\)", "", facts.get("model name", platform.machine() or "unknown processor"))
    if "model" in facts and "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return Processor(name, cores, tuple(flag for flag in FLAGS if flag in flags))
