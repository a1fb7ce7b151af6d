"""Nets and losses that MMagic lacks, or that need one change."""
