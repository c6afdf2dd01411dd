"""Understanding queries: a tokenizer, an encoder, its training, and the plain baseline that it has to beat."""
