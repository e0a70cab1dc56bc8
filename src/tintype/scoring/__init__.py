"""The commands `tintype evaluate` and `tintype compare`."""
