from setuptools import find_packages, setup

package = "edgecam_training"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(),
    package_data={package: ["py.typed", "data/*.json"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package]),
        ("share/" + package, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="edgecam maintainers",
    maintainer_email="maintainers@edgecam.invalid",
    description="Data sets, training, evaluation and export of edgecam's detectors. Knows no ROS; needs PyTorch.",
    license="Apache-2.0",
    extras_require={"test": ["pytest"]},
)
