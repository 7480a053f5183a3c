"""Towers that several architectures build on."""
