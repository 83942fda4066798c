"""`python -m agentvoicebox.cli` is the same as `agentvoicebox`."""

import signal


def main() -> None:
    """Run the program. Ctrl-C while it is still being loaded ends it at once, by the signal, without a stack trace."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    if on_interrupt is signal.default_int_handler:  # else the parent process has decided
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from agentvoicebox.cli.main import app  # late: loading it takes a second or more

    signal.signal(signal.SIGINT, on_interrupt)
    app()


if __name__ == "__main__":
    main()
