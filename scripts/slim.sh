#!/bin/sh
# Takes out of an environment what no program of an image imports: packages' own tests, headers, test programs,
# Arrow's Flight, and libraries' symbol tables, which only a debugger reads.
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
# Not in *.libs: what is there was rewritten when its wheel was made, and strip may break it. Nor what is for a GPU.
find . -name '*.libs' -prune -o -name nvidia -prune -o -name '*cuda*' -prune -o \
    -type f \( -name '*.so' -o -name '*.so.*' \) -size +1024k -exec strip --strip-unneeded {} +
