"""A checkpoint and degraded images -> restored images, their scores, or an exported net."""
