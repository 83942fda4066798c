"""Workers: they take jobs from the broker and publish what became of them."""
