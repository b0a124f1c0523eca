"""What every running node needs whatever it does: time, logs, metrics, health."""
