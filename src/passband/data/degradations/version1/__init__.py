"""The first simulators, kept as they were so that the sets they made keep their meaning: rain, snow, haze and blur."""
