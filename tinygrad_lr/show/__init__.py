"""What people look at: drawings of computation graphs."""

from tinygrad_lr.show.dot import Drawing as Drawing
from tinygrad_lr.show.dot import draw as draw
from tinygrad_lr.show.observe import observe as observe
