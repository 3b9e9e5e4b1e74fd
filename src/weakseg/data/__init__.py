"""Photographs with weak labels: samples, classes, images and the readers of label formats."""
