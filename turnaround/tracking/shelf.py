"""The files of one run in MLflow: its artifacts.

    shelf = Shelf(client, run_id, folder)     # `folder`: where they lie, if that is this machine
    shelf.text("config.json", "{}")
    shelf.file(Path("log.txt"))

Where they lie here they are written there, without MLflow: it asks its database for the place, and
the file system for each part of the path, 5 ms a file.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from mlflow import MlflowClient


@dataclass(frozen=True)
class Shelf:
    """Text, files, folders and figures; what is there already is written anew."""

    client: MlflowClient
    run_id: str
    folder: Path | None  # none: MLflow knows how to get there

    def text(self, name: str, text: str) -> None:
        """A file with this in it."""
        if self.folder is None:
            self.client.log_text(self.run_id, text, name)
        else:
            self._at(name).write_text(text)

    def file(self, path: Path) -> None:
        """The file under its own name, if there is one and anything is in it."""
        if not path.exists() or not path.stat().st_size:
            return
        if self.folder is None:
            self.client.log_artifact(self.run_id, str(path))
        else:
            shutil.copyfile(path, self._at(path.name))

    def tree(self, path: Path, name: str) -> None:
        """All that is in that folder, if there is one."""
        if not path.is_dir():
            return
        if self.folder is None:
            self.client.log_artifacts(self.run_id, str(path), name)
        else:
            shutil.copytree(path, self._at(name), dirs_exist_ok=True)

    def figure(self, name: str, figure: Figure) -> None:
        """A picture."""
        if self.folder is None:
            self.client.log_figure(self.run_id, figure, name)
        else:
            figure.savefig(self._at(name))

    def _at(self, name: str) -> Path:
        assert self.folder is not None
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
