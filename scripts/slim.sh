#!/bin/sh
# Takes out of an environment what no program of an image imports: packages' own tests, headers, test programs,
# Arrow's Flight.
#   scripts/slim.sh ENVIRONMENT
# A quarter of the boosting environment is that. `torch_shm_manager` stays, which torch starts.
set -eu
cd "$1"/lib/python3.11/site-packages
find . -type d -name tests -prune -exec rm -rf {} +
rm -f pyarrow/libarrow*_flight.so* pyarrow/_flight.*
rm -rf pyarrow/include tensorflow/include torch/include torch/test
if [ -d torch/bin ]; then
    find torch/bin -mindepth 1 ! -name torch_shm_manager -delete
fi
