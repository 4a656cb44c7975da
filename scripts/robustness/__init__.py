"""What damaged files and kills do to mhdnn; `scripts/robustness.sh` runs it."""
