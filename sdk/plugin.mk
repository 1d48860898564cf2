# Builds one plugin from the C files of a folder. The folder's Makefile says:
#
#     NAME := redis                  # the shared object's name: redis.so
#     LIBS := -lz                    # what it links against, if anything
#     SHARED := ../common            # folders whose C files are compiled into it as well, if any
#     include .../plugin.mk          # in the tree ../../../sdk/plugin.mk, else PREFIX/lib/tapedeck/plugin.mk
#
# OUT (default: build) is where NAME.so goes. What may silently change the layout or the meaning of the interface is
# an error always; other warnings are with WERROR=-Werror.

PLUGIN_MK := $(lastword $(MAKEFILE_LIST))
SDK_DIR   := $(patsubst %/,%,$(dir $(PLUGIN_MK)))
# Beside this file in the source tree; two levels up where it is installed.
SDK_INCLUDE ?= $(firstword $(wildcard $(SDK_DIR)/include/tapedeck/..) $(wildcard $(SDK_DIR)/../../include/tapedeck/..))

CC      ?= cc
CFLAGS  ?= -O3 -g
WERROR  ?=
DEFS    ?= -Wl,-z,defs
OUT     ?= build
OBJ     ?= build/obj
WARN    := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wimplicit-fallthrough -Werror=implicit-function-declaration \
           -Werror=incompatible-pointer-types -Werror=int-conversion -Werror=return-type -Werror=overflow
SHARED  ?=
SOURCES := $(notdir $(wildcard *.c $(SHARED:%=%/*.c)))
VPATH   := $(SHARED)
OBJECTS := $(SOURCES:%.c=$(OBJ)/%.o)

$(OUT)/$(NAME).so: $(OBJECTS)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(CFLAGS) -shared $(DEFS) -Wl,-z,relro,-z,now -o $@ $^ $(LIBS)

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) -std=gnu17 $(CFLAGS) $(WARN) $(WERROR) -fPIC -fvisibility=hidden -I$(SDK_INCLUDE) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJECTS:.o=.d)
