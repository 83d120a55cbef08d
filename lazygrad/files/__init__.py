"""Variables in files: the format, how it is written safely, and that of the Rust crate."""
