#!/bin/sh
# Builds a model from scratch: downloads about 205 MB of Debian packages, then trains for some minutes on a CPU.
# Usage: examples/train_animals.sh [FOLDER]      needs: scripts/setup-training
set -eu
cd "$(dirname "$0")/.."
folder=${1:-data/animals}
edgecam=.venv-training/bin/edgecam
alike='Zebra=zebra,Rhinoceros=elephant,Whale=boat,Cattle=cow,Sheep=sheep,Pig=sheep,Chicken=bird'

"$edgecam" dataset compose --output "$folder" --train 2000 --val 100 --held-out 100
"$edgecam" dataset stats "$folder"
"$edgecam" train --data "$folder" --output runs/animals --likeness "$alike" --freeze all-but-classes \
  --epochs 4 --batch 32 --learning-rate 0.003 --ema 0.99 --evaluate-every 4
for split in held-out real; do
  "$edgecam" evaluate runs/animals/last.pt --data "$folder" --split "$split" --output "runs/animals/$split"
done
"$edgecam" export runs/animals/last.pt --output runs/animals/animals.onnx --data "$folder"
echo "try it: make demo, or ros2 launch edgecam_bringup pipeline.launch.xml model:=$PWD/runs/animals/animals.onnx"
