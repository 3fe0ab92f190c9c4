"""The words and the HTML of the page. All texts are escaped."""
