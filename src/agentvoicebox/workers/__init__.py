"""Workers: they claim jobs from the broker and publish results."""
