"""Whether a gradient is right: finite differences, whole models, and the equations BP1 to BP4 beside autodiff."""
