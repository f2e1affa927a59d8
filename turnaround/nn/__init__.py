"""Layers and decoders that recipes share; written for one device, and of torch alone."""
