"""Training: recipes, data, losses, fitting and export. Needs the extra `tintype[train]`."""
