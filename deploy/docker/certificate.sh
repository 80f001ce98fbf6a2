#!/bin/sh
# An authority and a certificate of it, where there are none yet: certificate.sh FOLDER NAME...
# For one machine or a trial. Who has an authority puts tls.crt, tls.key and ca.crt of it into FOLDER instead.
set -eu
folder=$1
shift
cd "$folder"
[ ! -e tls.crt ] || exit 0
umask 077
names=IP:127.0.0.1
for name; do
    names="$names,DNS:$name"
done
work=$(mktemp -d ./new.XXXXXX)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Mosaajii Backup authority" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign" \
    -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$work/tls.key" -out "$work/tls.csr" 2>/dev/null
printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n' \
    "$names" >"$work/extensions"
openssl x509 -req -days 825 -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -extfile "$work/extensions" -out "$work/tls.crt" 2>/dev/null
# The authority's key stays nowhere, so that nobody signs another certificate with it. tls.crt comes last, for it says that all is there.
mv "$work/ca.crt" "$work/tls.key" .
mv "$work/tls.crt" .
echo "Made a certificate for $names; browsers and clients are to trust $folder/ca.crt."
