"""Two label sets by YAML: `dg list defs` in this folder shows them, `dg dev` runs them."""
