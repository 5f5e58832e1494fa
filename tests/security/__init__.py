"""What docs/security.md claims and no other folder of tests holds."""
