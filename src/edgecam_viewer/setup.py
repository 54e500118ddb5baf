from setuptools import find_packages, setup

package = "edgecam_viewer"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(),
    package_data={package: ["py.typed", "page/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package]),
        ("share/" + package, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="edgecam maintainers",
    maintainer_email="maintainers@edgecam.invalid",
    description="A web page with the live frame and its detections, and a terminal monitor.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "viewer_node = edgecam_viewer.start:viewer",
            "monitor_node = edgecam_viewer.start:monitor",
        ],
    },
)
