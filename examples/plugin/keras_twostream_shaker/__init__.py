"""A plugin: `network` is the architecture, `weights` its weights."""
