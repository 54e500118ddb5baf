from setuptools import find_packages, setup

package = "edgecam_collector"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(),
    package_data={package: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package]),
        ("share/" + package, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="edgecam maintainers",
    maintainer_email="maintainers@edgecam.invalid",
    description="Collects frames for training as a data set, with the model's detections as proposals.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "collector_node = edgecam_collector.start:collector",
        ],
    },
)
