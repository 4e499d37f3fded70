"""The verbs a person types. Heavy imports stand inside the commands: `--help` is quick."""
