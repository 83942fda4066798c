"""An agent's file is no door into the network around the server."""

import pytest

from agentvoicebox.tools.addresses import Addresses, NotAllowed


def knowing(*found: str, is_local: bool = False, private: tuple[str, ...] = ()) -> Addresses:
    async def resolve(host: str, port: int) -> list[str]:
        return list(found)

    return Addresses(is_local=is_local, private=private, resolve=resolve)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1",
        "2002:a00:1::", "224.0.0.1", "255.255.255.255", "192.0.2.1", "::", "ff02::1", "240.0.0.1",
        "192.0.0.192", "192.0.0.9", "::ffff:192.0.0.192", "64:ff9b::c000:c0", "fec0::1", "feff::1",
    ],
)  # fmt: skip
async def test_what_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(NotAllowed):
        await knowing(address).of("https://tools.example/book")


async def test_a_public_address_is_reached_over_https_alone() -> None:
    public = knowing("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
    assert len(await public.of("https://tools.example/book")) == 2
    with pytest.raises(NotAllowed):
        await public.of("http://tools.example/book")


async def test_of_several_addresses_only_the_public_ones_are_used() -> None:
    assert await knowing("10.0.0.1", "93.184.215.14").of("https://tools.example") == ["93.184.215.14"]


async def test_this_machine_is_reached_when_the_server_is_at_home() -> None:
    for address in ("127.0.0.1", "::1"):
        at_home = knowing(address, is_local=True)
        assert await at_home.of("http://localhost:9000/book") == [address]
    with pytest.raises(NotAllowed):
        await knowing("192.168.1.1", is_local=True).of("http://nas/book")


async def test_a_private_network_is_reached_when_the_settings_name_it_over_https() -> None:
    inside = knowing("10.1.2.3", private=("10.1.0.0/16",))
    assert await inside.of("https://booking.internal") == ["10.1.2.3"]
    for addresses, url in (
        (inside, "http://booking.internal"),
        (knowing("10.2.0.1", private=("10.1.0.0/16",)), "https://x"),
        (knowing("127.0.0.1", private=("10.1.0.0/16",)), "https://x"),
    ):
        with pytest.raises(NotAllowed):
            await addresses.of(url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
async def test_other_spellings_of_this_machine_are_seen_through(host: str) -> None:
    with pytest.raises(NotAllowed):
        await Addresses(is_local=False).of(f"https://{host}/")
