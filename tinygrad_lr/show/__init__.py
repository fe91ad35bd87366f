"""What people look at: drawings of graphs, the page to walk through one, and the printed fit."""

from tinygrad_lr.show.dot import Drawing as Drawing
from tinygrad_lr.show.dot import draw as draw
from tinygrad_lr.show.observe import observe as observe
