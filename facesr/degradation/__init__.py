"""Ground truth -> degraded input: image by image, or a batch on the device."""
