"""The first simulators of rain, snow, haze and blur, which never change, so that sets made with them stay the same."""
