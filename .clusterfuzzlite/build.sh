#!/bin/bash -eu
# Builds a program for every target into $OUT. Wants $SRC, $OUT and $WORK, and
# compile_python_fuzzer in the path, as OSS-Fuzz' base image has them.

# Nothing here is compiled: these are for C.
unset CFLAGS CXXFLAGS LIB_FUZZING_ENGINE

python3 -m pip install "$SRC/torchproof"

# From here on what is installed is used, not the folder of the same name.
mkdir -p "$WORK/torchproof"
cd "$WORK/torchproof"
python3 -m conformance.fuzz.campaign.ossfuzz .

for fuzzer in fuzz_*.py; do
  # torch is what the target needs that is not built here.
  compile_python_fuzzer "$fuzzer" \
    --add-data "words.json:conformance/fuzz" \
    --exclude-module torch --exclude-module torchvision
done
cp fuzz_*.options fuzz_*.dict fuzz_*_seed_corpus.zip "$OUT/"
