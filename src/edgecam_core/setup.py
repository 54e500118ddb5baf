from setuptools import find_packages, setup

package = "edgecam_core"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(),
    package_data={package: ["py.typed", "models/*.npz", "explain/*.txt"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package]),
        ("share/" + package, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="edgecam maintainers",
    maintainer_email="maintainers@edgecam.invalid",
    description="The ROS-free library of edgecam: settings, GStreamer, RTP, inference back ends, model families.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"]},
    entry_points={"console_scripts": ["edgecam = edgecam_core.cli.main:main"]},
)
