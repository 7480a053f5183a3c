# What both gates share: named steps that say how many seconds they took.
export TF_CPP_MIN_LOG_LEVEL=3 PIP_DISABLE_PIP_VERSION_CHECK=1
python=.venv/bin/python
two="-n 2 --dist loadfile" # a file's tests share networks built once
name=""

finish() {
    [ -z "$name" ] || printf -- '-- %s: %s s\n' "$name" $((SECONDS - began))
}

step() {
    finish
    name=$*
    began=$SECONDS
    printf '\n== %s ==\n' "$name"
}

trap finish EXIT
