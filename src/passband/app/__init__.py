"""The web page: drop a photo, see it restored, and see its frequencies.

    from passband.app import AppSettings, launch

    if __name__ == "__main__":  # each worker imports the script that starts it
        launch(AppSettings(port=7860))

`passband app` does the same, and a notebook needs no such line. The page needs the extra `app`
(`pip install '.[app]'`) and no network connection.
"""

from passband.app.settings import AppError, AppSettings, Limits, launch

__all__ = ["AppError", "AppSettings", "Limits", "launch"]
