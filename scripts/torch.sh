#!/usr/bin/env bash
# Installs torch and torchvision for one backend, into an environment that holds their own dependencies.
#   UV=path/to/uv scripts/torch.sh ENVIRONMENT REQUIREMENTS BACKEND
# BACKEND is one of uv's: cpu, or for a GPU cu130 and the like. A folder of wheels in UV_FIND_LINKS
# that holds torch comes before PyTorch's index; then nothing else is fetched for it, CUDA least of all.
set -euo pipefail

environment=$1 requirements=$2 backend=$3
install=("${UV:?}" pip install --quiet --python "$environment" --compile-bytecode)

if [[ -d ${UV_FIND_LINKS:-} ]] && compgen -G "$UV_FIND_LINKS/torch-*.whl" >/dev/null; then
    "${install[@]}" --no-deps --requirements "$requirements"
else
    "${install[@]}" --torch-backend "$backend" --requirements "$requirements"
fi
