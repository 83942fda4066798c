"""A real Asterisk that passes each SIP call on to a telephony server, as docs/telephony.md describes."""

import asyncio
import shutil
import signal
import socket
import tempfile
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agentvoicebox.processes.child_command import child_command
from tests.kit.waiting import PATIENCE_S

EXTENSION = "100"
DESK = "200"  # to which a transfer goes: a tone of 1,004 Hz
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
STOP_S = 10.0
MODULES = (
    "app_dial", "app_exec", "app_milliwatt", "app_stack", "app_verbose", "bridge_native_rtp", "bridge_simple",
    "chan_pjsip", "chan_websocket", "codec_alaw", "codec_resample", "codec_ulaw", "func_channel", "func_curl", "func_logic",
    "pbx_config", "res_crypto", "res_curl", "res_http_websocket", "res_pjproject", "res_pjsip", "res_pjsip_caller_id",
    "res_pjsip_endpoint_identifier_anonymous", "res_pjsip_pubsub", "res_pjsip_sdp_rtp", "res_pjsip_session",
    "res_rtp_asterisk", "res_sorcery_astdb", "res_sorcery_config", "res_sorcery_memory", "res_timing_timerfd",
    "res_websocket_client",
)  # fmt: skip
INTERFACE_MODULES = (
    "app_record", "app_stasis", "format_wav", "res_stasis", "res_stasis_answer", "res_stasis_playback", "res_stasis_recording",
    "res_stasis_snoop", "res_ari_model", "res_ari", "res_ari_channels",
)  # fmt: skip
INTERFACE_USER, INTERFACE_PASSWORD = "agentvoicebox", "ari-secret"
HOME = "home"  # context of those who are called: they answer, and record what they hear
HEARD_S = 6
FOLDERS = ("spool", "run", "log", "db", "keys/keys", "agi")


@dataclass(frozen=True)
class Asterisk:
    """A running one.

    Attributes:
        root: the folder that it runs in.
        sip_port: its UDP port for SIP, on loopback.
        log: what it wrote.
        heard: the record of who was called.
    """

    root: Path
    sip_port: int
    log: Path
    heard: Path


def free_udp_port() -> int:
    """A free UDP port on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def asterisk(
    root: Path, media_url: str, *, password: str = "", format: str = "ulaw", interface_port: int = 0
) -> AsyncIterator[Asterisk]:
    """Start one, and stop it at the end of the block.

    Args:
        root: see `asterisk_folder.prepare`.
        media_url: WebSocket address of the telephony server.
        password: that it shows there; "": none.
        format: of the audio on the WebSocket, `ulaw` or `alaw`; callers send and get `ulaw`.
        interface_port: TCP port of its REST interface, on loopback; 0: none.
    """
    folder = Path(tempfile.mkdtemp(prefix="asterisk-", dir=root / "tmp"))
    inside = "/" / folder.relative_to(root)
    sip_port = free_udp_port()
    files = _files(inside, sip_port, media_url, password, format)
    if interface_port:
        files = _with_interface(files, inside, interface_port)
    for name, text in files.items():
        (folder / name).write_text(text)
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    log = folder / "asterisk.log"
    command = [CHROOT, str(root), "asterisk", "-f", "-C", str(inside / "asterisk.conf")]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *child_command(command, die_with=signal.SIGKILL), stdin=DEVNULL, stdout=output, stderr=STDOUT
        )
    try:
        await _until_booted(root, inside, process, folder)
        yield Asterisk(root, sip_port, folder / "log/messages", folder / "heard.wav")
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _until_booted(root: Path, inside: Path, process: asyncio.subprocess.Process, folder: Path) -> None:
    ask = (CHROOT, str(root), "asterisk", "-C", str(inside / "asterisk.conf"), "-rx", "core waitfullybooted")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            assert process.returncode is None, f"Asterisk ended:\n{_tail(folder)}"
            asking = await asyncio.create_subprocess_exec(*ask, stdout=DEVNULL, stderr=DEVNULL)
            if await asking.wait() == 0:
                return
            await asyncio.sleep(0.2)


def _tail(folder: Path) -> str:
    logs = [
        each.read_text(errors="replace") for each in (folder / "asterisk.log", folder / "log/messages") if each.exists()
    ]
    return "\n".join(logs)[-3000:]


def _files(inside: Path, sip_port: int, media_url: str, password: str, format: str) -> dict[str, str]:
    """Its configuration."""
    credential = f"username=agentvoicebox\npassword={password}\n" if password else ""
    folders = "\n".join(
        f"{name} => {inside}/{folder}".rstrip("/")
        for name, folder in (
            ("astetcdir", ""), ("astspooldir", "spool"), ("astrundir", "run"), ("astlogdir", "log"), ("astdbdir", "db"),
            ("astkeydir", "keys"), ("astagidir", "agi"),
        )
    )  # fmt: skip
    after_url = media_url.replace("ws://", "http://").replace("/media", "/after")
    return {
        "asterisk.conf": f"[directories]\n{folders}\n[options]\nverbose = 3\n",
        "logger.conf": "[logfiles]\nmessages => notice,warning,error,verbose\n",
        "modules.conf": "[modules]\nautoload=no\n" + "".join(f"load=>{each}.so\n" for each in MODULES),
        "pjsip.conf": (
            "[global]\ntype=global\nendpoint_identifier_order=ip,username,anonymous\n"
            f"[transport-udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:{sip_port}\n"
            f"[anonymous]\ntype=endpoint\ncontext=from-sip\ndisallow=all\nallow=ulaw\n"
        ),
        "rtp.conf": "[general]\nrtpstart=20000\nrtpend=29999\n",
        "chan_websocket.conf": "[global]\ncontrol_message_format=json\n",
        "websocket_client.conf": (
            f"[agentvoicebox]\ntype=websocket_client\nuri={media_url}\nprotocols=media\n"
            f"connection_type=per_call_config\n{credential}"
        ),
        "extensions.conf": (
            f"[from-sip]\nexten => {EXTENSION},1,Answer()\n"
            " same => n,Set(__AVB_CALL=${UNIQUEID})\n"
            " same => n,Set(__agent=delivery)\n"
            f" same => n,Dial(WebSocket/agentvoicebox/c({format}),,g)\n"
            f" same => n,Set(CURLOPT(userpwd)=agentvoicebox:{password})\n"
            f" same => n,Set(NEXT=${{CURL({after_url}?call=${{AVB_CALL}})}})\n"
            ' same => n,ExecIf($["${NEXT:0:5}" = "dial:"]?Goto(${NEXT:5},1))\n'
            f"exten => {DESK},1,Milliwatt()\n"
        ),
    }


def _with_interface(files: dict[str, str], inside: Path, port: int) -> dict[str, str]:
    return files | {
        "modules.conf": files["modules.conf"] + "".join(f"load=>{each}.so\n" for each in INTERFACE_MODULES),
        "http.conf": f"[general]\nenabled=yes\nbindaddr=127.0.0.1\nbindport={port}\n",
        "ari.conf": (
            f"[general]\nenabled=yes\n[{INTERFACE_USER}]\ntype=user\npassword={INTERFACE_PASSWORD}\npassword_format=plain\n"
        ),
        "extensions.conf": files["extensions.conf"]
        + f"[{HOME}]\nexten => _X.,1,Answer()\n same => n,Record({inside}/heard.wav,0,{HEARD_S},q)\n same => n,Hangup()\n",
    }
