"""The ops, one family a file. Each is one declaration, or a plain function of others."""
