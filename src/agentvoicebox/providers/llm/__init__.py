"""Language models behind the Llm port."""
