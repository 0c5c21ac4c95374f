# Two stages: the compiler stays in the first. The second holds the binary, its libraries and an account
# without a name anybody else has. Its root may be read-only; the volume is all that is written.
#
#   docker build -t chancery .
#   docker run --rm -v chancery:/var/lib/chancery chancery init --issuer https://id.example.com
#   docker run -d --read-only --cap-drop ALL --security-opt no-new-privileges -p 8080:8080 \
#       -v chancery:/var/lib/chancery -e CHANCERY_SERVER_ADDRESS=0.0.0.0:8080 \
#       -e CHANCERY_SERVER_TRUSTED_PROXIES=10.0.0.0/8 chancery
FROM debian:12-slim AS build
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc libc6-dev pkg-config meson ninja-build libsodium-dev libssl-dev libjansson-dev \
        libsqlite3-dev libmicrohttpd-dev libgnutls28-dev libyaml-dev libseccomp-dev libcurl4-openssl-dev && \
    rm -rf /var/lib/apt/lists/*
COPY . /src
WORKDIR /src
RUN meson setup /build --buildtype=release -Dtests=false && \
    ninja -C /build && \
    strip /build/chancery

FROM debian:12-slim
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libsodium23 libssl3 libsqlite3-0 libmicrohttpd12 libgnutls30 libyaml-0-2 libseccomp2 \
        libcurl4 ca-certificates && \
    rm -rf /var/lib/apt/lists/* && \
    groupadd --gid 10001 chancery && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/chancery \
        --shell /usr/sbin/nologin chancery && \
    install -d -o 10001 -g 10001 -m 0700 /var/lib/chancery
COPY --from=build /build/chancery /usr/bin/chancery
COPY LICENSE /usr/share/doc/chancery/LICENSE
USER 10001:10001
VOLUME ["/var/lib/chancery"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["chancery", "health"]
ENTRYPOINT ["chancery"]
CMD ["serve"]
