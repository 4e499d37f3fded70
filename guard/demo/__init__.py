"""The product's first minute: an exchange of our own on loopback, and the real daemon on it through a crash."""
