"""The cycle, the clock, the schedule, signals and systemd: what runs for months."""
