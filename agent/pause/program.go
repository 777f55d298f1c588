package pause

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/reckon-project/reckon/events"
)

// signals is the set of SIGINT (2), SIGTERM (15) and SIGCHLD (17), as the kernel takes it.
const signals uint64 = 1<<(2-1) | 1<<(15-1) | 1<<(17-1)

// amd64 ends right before the signal set.
var amd64 = []byte{
	0xb8, 14, 0, 0, 0, // mov eax, rt_sigprocmask
	0x31, 0xff, // xor edi, edi: SIG_BLOCK
	0x48, 0x8d, 0x35, 0x52, 0, 0, 0, // lea rsi, set
	0x31, 0xd2, // xor edx, edx
	0x41, 0xba, 8, 0, 0, 0, // mov r10d, 8
	0x0f, 0x05, // syscall
	// wait:
	0xb8, 128, 0, 0, 0, // mov eax, rt_sigtimedwait
	0x48, 0x8d, 0x3d, 0x3c, 0, 0, 0, // lea rdi, set
	0x31, 0xf6, // xor esi, esi
	0x31, 0xd2, // xor edx, edx
	0x41, 0xba, 8, 0, 0, 0, // mov r10d, 8
	0x0f, 0x05, // syscall
	0x83, 0xf8, 17, // cmp eax, SIGCHLD
	0x74, 0x0d, // je reap
	0x85, 0xc0, // test eax, eax
	0x78, 0xdf, // js wait
	0xb8, 231, 0, 0, 0, // mov eax, exit_group
	0x31, 0xff, // xor edi, edi
	0x0f, 0x05, // syscall
	// reap:
	0xb8, 61, 0, 0, 0, // mov eax, wait4
	0xbf, 0xff, 0xff, 0xff, 0xff, // mov edi, -1
	0x31, 0xf6, // xor esi, esi
	0xba, 1, 0, 0, 0, // mov edx, WNOHANG
	0x45, 0x31, 0xd2, // xor r10d, r10d
	0x0f, 0x05, // syscall
	0x85, 0xc0, // test eax, eax
	0x7f, 0xe6, // jg reap
	0xeb, 0xba, // jmp wait
	0x66, 0x90, // nop: align
}

// arm64 ends right before the signal set.
var arm64 = []uint32{
	0xd28010e8, // mov x8, rt_sigprocmask
	0xaa1f03e0, // mov x0, SIG_BLOCK
	0x10000321, // adr x1, set
	0xaa1f03e2, // mov x2, 0
	0xb27d03e3, // mov x3, 8
	0xd4000001, // svc 0
	// wait:
	0xd2801128, // mov x8, rt_sigtimedwait
	0x10000280, // adr x0, set
	0xaa1f03e1, // mov x1, 0
	0xaa1f03e2, // mov x2, 0
	0xb27d03e3, // mov x3, 8
	0xd4000001, // svc 0
	0x7100441f, // cmp w0, SIGCHLD
	0x540000a0, // b.eq reap
	0x37ffff00, // tbnz w0, 31, wait
	0xd2800bc8, // mov x8, exit_group
	0xaa1f03e0, // mov x0, 0
	0xd4000001, // svc 0
	// reap:
	0xd2802088, // mov x8, wait4
	0x92800000, // mov x0, -1
	0xaa1f03e1, // mov x1, 0
	0xb24003e2, // mov x2, WNOHANG
	0xaa1f03e3, // mov x3, 0
	0xd4000001, // svc 0
	0xf100001f, // cmp x0, 0
	0x54ffff2c, // b.gt reap
	0x17ffffec, // b wait
}

const (
	loadAddress = 0x400000
	headers     = 64 + 56 // the ELF header and one program header
)

// Program gives a static ELF executable for a Go architecture name.
func Program(arch string) ([]byte, error) {
	var code bytes.Buffer
	machine := elf.EM_X86_64
	switch arch {
	case "amd64":
		code.Write(amd64)
	case "arm64":
		machine = elf.EM_AARCH64
		if err := binary.Write(&code, binary.LittleEndian, arm64); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w: there is no pause program for %s", events.ErrInvalid, arch)
	}
	if err := binary.Write(&code, binary.LittleEndian, signals); err != nil {
		return nil, err
	}
	size := uint64(headers + code.Len())
	var out bytes.Buffer
	head := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: loadAddress + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	copy(head.Ident[:], elf.ELFMAG)
	head.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	head.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	head.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: loadAddress, Paddr: loadAddress, Filesz: size, Memsz: size, Align: 0x10000,
	}
	for _, part := range []any{head, segment, code.Bytes()} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
