"""Keeps the reference service out of the wheel; everything else is in pyproject.toml."""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildLibrary(build_py):
    """setuptools takes every module of a listed package; `main` is the reference service's."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        modules = super().find_package_modules(package, package_dir)
        return [one for one in modules if one[:2] != ("fastapi_cloudops", "main")]


setup(cmdclass={"build_py": BuildLibrary})
