"""What a request costs in a rendered project, beside a minimal hand-written app on the same driver: `make bench`."""
