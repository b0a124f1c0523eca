"""What people do with the node beside running it: demonstrations, replays, studies, benchmarks."""
